/** The name of the demo blog, and its tagline. */
export const demoBlog = {
  name: 'The Long Way Round',
  tagline: 'Walks, maps and sandwiches, by people who missed the last bus.',
} as const

/** Slug to name, as in the table `authors`. */
export const demoAuthors = {
  maren: 'Maren Holt',
  tobias: 'Tobias Quill',
  priya: 'Priya Raman',
  gwen: 'Gwen Ashdown',
  oskar: 'Oskar Lindqvist',
} as const

/** Slug to name, as in the table `categories`. */
export const demoCategories = {
  walks: 'Walks',
  kit: 'Kit',
  navigation: 'Maps & Getting Lost',
  kitchen: 'Camp Kitchen',
  weather: 'Weather',
  wildlife: 'Wildlife',
  mishaps: 'Mishaps',
} as const

/** Slug to name, as in the table `tags`. */
export const demoTags = {
  beginners: 'Beginners',
  boots: 'Boots',
  budget: 'Budget',
  cheese: 'Cheese',
  coast: 'Coast',
  dogs: 'Dogs',
  maps: 'Maps',
  mountains: 'Mountains',
  night: 'Night',
  rain: 'Rain',
  sandwiches: 'Sandwiches',
  tea: 'Tea',
  tents: 'Tents',
  trains: 'Trains',
  winter: 'Winter',
} as const

/** The authors of comments. */
export const demoReaders = [
  'Agnes',
  'Benoit',
  'Carys',
  'Dmitri',
  'Eilidh',
  'Farid',
  'Greta',
  'Hamish',
  'Ingrid',
  'Jonas',
  'Kwame',
  'Leonie',
  'Mateo',
  'Nadia',
  'Old Bert',
  'Piotr',
  'Ruth',
  'Saoirse',
  'Theo',
  'Uli',
  'Wanda',
  'Yusuf',
]

/** Approved comments, which suit any post of the demo. */
export const demoRemarks = [
  'I read this on the bus I should have been walking to.',
  'My dog disagrees with paragraph three.',
  'Did this last weekend. Can confirm the mud.',
  'Printed it out, folded it, lost it. Ten out of ten.',
  'Sent to my brother, who still owes me a flask.',
  'You forgot to mention the geese. Nobody should forget the geese.',
  'Tried it. My knees would like a word with you.',
  'Lovely piece. More sandwiches, please.',
  'I have been doing this wrong for thirty years and will carry on.',
  'The pub in question has closed, sadly. The other one is better anyway.',
  'Thank you, this settled an argument in our tent.',
  'As a retired surveyor I have notes. They are mostly kind.',
  'We took the kids. We brought the same number home, so: success.',
  'Which flask was that in the end?',
  'It rained sideways. We loved it.',
  'Finally somebody says it.',
  'Bookmarked, right next to all the others I mean to walk.',
  'Does this work with a pushchair? Asking for my back.',
  'I laughed out loud in the quiet carriage.',
  'The last stile is gone, there is a gate now. Progress.',
  'My grandfather swore by this, and at it.',
  'Came for the map, stayed for the soup.',
  'Two of us got lost anyway, but in much better spirits.',
  'The bit about socks should be taught in schools.',
  'Could you add the bus times? On second thoughts, never mind.',
  'I live nearby and you made it sound nice, so well done.',
  'This is the only newsletter I do not delete.',
  'Followed your advice. Have fewer blisters and more opinions.',
  'A compass is not a personality, but thank you.',
  'Went at dawn, had it all to ourselves apart from one heron.',
  'Strong words about instant coffee. Correct words.',
  'I would add: bring a second pair of gloves. Then a third.',
  'We turned back at the ridge and had cake. No regrets.',
  'Excellent as ever. The photo on the wall is me, by the way.',
  'How heavy was the pack, honestly?',
  'My tent has read this and is ashamed.',
]

/** Comments that wait for approval. */
export const demoHeldRemarks = [
  'Great post!! Visit my site for the cheapest tents online',
  'First!',
  'I made 4000 a week from my tent, ask me how',
  'Hello dear, very useful informations, kindly see my profile',
  'This is wrong and my uncle will be writing to you.',
]
