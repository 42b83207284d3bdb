import type { demoAuthors, demoCategories, demoTags } from './content.ts'

/** Who reads a post, where that is not left to chance (see `views.ts`). */
interface Audience {
  /** How large its launch is: 1 is an ordinary post. */
  reach?: number
  /** Views a day, for ever: the posts that search engines love. */
  steady?: number
  /** The day it went round the world: how many days after publication, and the views of that day. */
  spike?: { age: number; views: number }
}

interface Details {
  /** Published so many days before today; in the future if negative; a draft if `null`. */
  daysAgo: number | null
  by: keyof typeof demoAuthors | null
  in: readonly (keyof typeof demoCategories)[]
  tags: readonly (keyof typeof demoTags)[]
  minutes: number
  isPrivate?: boolean
  audience?: Audience
}

/** A post has no image: the package serves no image files, and an address that answers 404 is worse than none. */
export interface DemoPost extends Details {
  slug: string
  title: string
  excerpt: string
}

function post(slug: string, title: string, excerpt: string, details: Details): DemoPost {
  return { slug, title, excerpt, ...details }
}

/** Newest first, after the three that no list may show. A slug is never changed: a demo is removed by its slugs. */
export const demoPosts: readonly DemoPost[] = [
  post('hedgehog-hotel', 'A hotel for hedgehogs, with breakfast', 'Draft: still waiting for a guest to review it.', {
    daysAgo: null,
    by: 'gwen',
    in: ['wildlife'],
    tags: ['night', 'budget'],
    minutes: 5,
  }),
  post(
    'next-years-bad-ideas',
    'Seven bad ideas for next year, with dates',
    'The editors have voted. The knees have lodged a protest.',
    { daysAgo: -6, by: 'tobias', in: ['walks', 'mishaps'], tags: ['trains', 'mountains'], minutes: 7 },
  ),
  post(
    'editors-secret-lunch-spot',
    "The editors' secret lunch spot (do not share)",
    'For the five of us only. Bring cheese, tell nobody, close the gate.',
    { daysAgo: 50, by: 'priya', in: ['walks', 'kitchen'], tags: ['cheese', 'sandwiches'], minutes: 2, isPrivate: true },
  ),
  post(
    'gloves-for-lost-gloves',
    'A support group for single gloves',
    'Eleven left hands, no right ones. We asked readers where the others went, and now we know too much about bus shelters.',
    { daysAgo: 1, by: 'gwen', in: ['kit'], tags: ['winter', 'budget'], minutes: 3, audience: { reach: 0.08 } },
  ),
  post(
    'bench-inspector',
    'The bench inspector retires',
    'For nineteen years one man has rated every bench on the ridge. He hands over his clipboard, and a warning about number 40.',
    { daysAgo: 2, by: 'tobias', in: ['walks'], tags: ['mountains', 'tea'], minutes: 6, audience: { reach: 0.2 } },
  ),
  post(
    'goat-has-my-map',
    'A goat has eaten my map, and other reasons to look up',
    'It took the whole of the northern sheet and seemed to enjoy the contour lines most. We got home by church towers.',
    {
      daysAgo: 5,
      by: 'maren',
      in: ['mishaps', 'navigation'],
      tags: ['maps', 'mountains'],
      minutes: 5,
      audience: { reach: 2, spike: { age: 4, views: 900 } },
    },
  ),
  post(
    'tea-at-altitude',
    'Why tea tastes of disappointment above 2,000 metres',
    'Water boils at 93 degrees up there and the leaves can tell. A physicist and a very patient kettle explain.',
    { daysAgo: 8, by: 'priya', in: ['kitchen', 'weather'], tags: ['tea', 'mountains'], minutes: 7 },
  ),
  post(
    'dog-carries-own-lunch',
    'Let the dog carry its own lunch',
    'A pack for the dog sounded like a kindness to us. The dog has since discovered swimming.',
    { daysAgo: 11, by: 'gwen', in: ['kit', 'mishaps'], tags: ['dogs', 'sandwiches', 'rain'], minutes: 4 },
  ),
  post(
    'forecast-for-pessimists',
    'How to read a forecast like a pessimist',
    'Sunny spells, says the app. Here is what the isobars are muttering behind its back.',
    { daysAgo: 15, by: 'oskar', in: ['weather'], tags: ['rain', 'beginners'], minutes: 8 },
  ),
  post(
    'last-train-from-corrach',
    'The last train from Corrach leaves at 16:52',
    'It is a nineteen-kilometre walk to the station. We left at noon, with cheese, and learned to run with cheese.',
    {
      daysAgo: 21,
      by: 'tobias',
      in: ['walks', 'mishaps'],
      tags: ['trains', 'cheese', 'mountains'],
      minutes: 9,
      audience: { reach: 2.5, spike: { age: 6, views: 1900 } },
    },
  ),
  post(
    'owls-do-not-care',
    'Owls do not care about your podcast',
    'Six nights in a wood with the sound off. By the third we could tell the tawny owls apart, and they us.',
    { daysAgo: 25, by: 'maren', in: ['wildlife'], tags: ['night', 'winter'], minutes: 7 },
  ),
  post(
    'cheapest-good-tent',
    'The cheapest tent we would let a friend sleep in',
    'Nine tents, one garden hose, and a friend who is no longer taking our calls.',
    { daysAgo: 28, by: 'gwen', in: ['kit'], tags: ['tents', 'budget', 'rain'], minutes: 11, audience: { steady: 9 } },
  ),
  post(
    'stile-etiquette',
    'Who goes first at a stile?',
    'The rules of precedence for walkers, dogs, farmers and anybody holding a hot drink.',
    { daysAgo: 34, by: null, in: ['walks'], tags: ['beginners', 'dogs', 'tea'], minutes: 3 },
  ),
  post(
    'tide-table-romance',
    'A love letter to the tide table',
    'The only book on our shelf that is never wrong, never late, and has twice saved our boots.',
    { daysAgo: 40, by: 'oskar', in: ['navigation'], tags: ['coast', 'maps', 'boots'], minutes: 5 },
  ),
  post(
    'soup-flask-test',
    'Five flasks, one soup, eleven hours',
    'Tested from dawn to the car park in sleet. One of them still burned a tongue at dusk.',
    { daysAgo: 47, by: 'priya', in: ['kitchen', 'kit'], tags: ['winter', 'budget'], minutes: 8 },
  ),
  post(
    'walking-the-ring-road',
    'We walked the whole ring road so that you need not',
    'Forty-one kilometres of verge. Highlights include a heron, a hubcap museum, and the best bacon roll in the county.',
    { daysAgo: 53, by: 'tobias', in: ['walks'], tags: ['sandwiches', 'budget'], minutes: 12 },
  ),
  post(
    'midge-diplomacy',
    'Negotiating with midges',
    'Smoke, garlic, a hat like a beekeeper. What worked, what did not, and what we signed away.',
    { daysAgo: 60, by: 'maren', in: ['wildlife'], tags: ['tents', 'mountains', 'night'], minutes: 6 },
  ),
  post(
    'map-folding',
    'How to fold a map in wind, at last',
    'A method in four moves and one knee. Rehearse at home, away from people you respect.',
    { daysAgo: 66, by: 'oskar', in: ['navigation'], tags: ['maps', 'beginners', 'rain'], minutes: 4 },
  ),
  post(
    'socks-two-pairs',
    'Two pairs of socks: the case for, the case against, the blister',
    'One thin, one thick, or one good? Three weeks of feet, photographed tastefully from afar.',
    { daysAgo: 72, by: 'gwen', in: ['kit'], tags: ['boots', 'beginners'], minutes: 7, audience: { steady: 6 } },
  ),
  post(
    'fog-on-the-causeway',
    'Fog on the causeway',
    'We could hear the sea on both sides and see neither. An account of ninety slow minutes.',
    { daysAgo: 79, by: 'tobias', in: ['walks', 'weather'], tags: ['coast', 'maps'], minutes: 10 },
  ),
  post(
    'cheese-in-a-rucksack',
    'Which cheese survives a rucksack?',
    'Seven cheeses, one warm day, a black bag. There were losses. There was a winner.',
    {
      daysAgo: 86,
      by: 'priya',
      in: ['kitchen'],
      tags: ['cheese', 'sandwiches', 'budget'],
      minutes: 6,
      audience: { reach: 2, steady: 4 },
    },
  ),
  post(
    'night-bus-ridge',
    'The night bus to the ridge',
    'It stops at 03:10 if you wave a torch. Breakfast at the summit, bed by nine, and a driver who knows every star.',
    { daysAgo: 92, by: 'maren', in: ['walks'], tags: ['night', 'mountains', 'tea'], minutes: 8 },
  ),
  post(
    'waterproof-lies',
    'Water-resistant, water-repellent, wet: a glossary',
    'What the label says, what it means, and how long you have.',
    { daysAgo: 99, by: 'gwen', in: ['kit', 'weather'], tags: ['rain', 'budget', 'beginners'], minutes: 5 },
  ),
  post(
    'counting-sheep-professionally',
    'Counting sheep with a man who does it for a living',
    'Yan, tan, tethera. He has never once fallen asleep, and he knows which one you mean.',
    { daysAgo: 106, by: 'tobias', in: ['wildlife'], tags: ['mountains', 'dogs'], minutes: 9 },
  ),
  post(
    'compass-in-ten-minutes',
    'A compass in ten minutes',
    'Red in the shed, then walk. The only lesson we give for free, because the alternative is fetching you.',
    {
      daysAgo: 113,
      by: 'oskar',
      in: ['navigation'],
      tags: ['beginners', 'maps', 'mountains'],
      minutes: 10,
      audience: { reach: 1.5, steady: 17 },
    },
  ),
  post(
    'porridge-with-a-grudge',
    'Porridge with a grudge',
    'Salt or sugar split our last expedition in two. Here are both recipes, on separate pages.',
    { daysAgo: 120, by: 'priya', in: ['kitchen'], tags: ['winter', 'budget', 'tea'], minutes: 4 },
  ),
  post(
    'wrong-valley',
    'The right walk in the wrong valley',
    'Every landmark was where the book said. It took us until the lake to notice that there should not have been one.',
    { daysAgo: 126, by: 'maren', in: ['mishaps', 'navigation'], tags: ['maps', 'mountains'], minutes: 7 },
  ),
  post(
    'seal-stares',
    'What the seal was thinking',
    'It followed us along the beach for two hours. A marine biologist says curiosity. We say it wanted the tuna.',
    { daysAgo: 133, by: 'gwen', in: ['wildlife'], tags: ['coast', 'sandwiches'], minutes: 5 },
  ),
  post(
    'boots-resoled',
    'The cobbler who brings boots back from the dead',
    'She has resoled the same pair six times and calls them by name. Sixteen days, and cheaper than grief.',
    { daysAgo: 140, by: 'tobias', in: ['kit'], tags: ['boots', 'budget'], minutes: 8 },
  ),
  post(
    'cloud-spotting-for-lunch',
    'Choose your lunch stop by its cloud',
    'Fair-weather cumulus: unwrap it all. Anvil on the horizon: eat standing up.',
    { daysAgo: 147, by: 'oskar', in: ['weather', 'kitchen'], tags: ['sandwiches', 'rain'], minutes: 5 },
  ),
  post(
    'canal-at-four-kph',
    'A canal at four kilometres an hour',
    'Five flat days, thirty-two locks, and a narrowboat that kept overtaking us and then apologising.',
    { daysAgo: 154, by: 'maren', in: ['walks'], tags: ['tea', 'beginners', 'dogs'], minutes: 11 },
  ),
  post(
    'tent-in-the-living-room',
    'We pitched the tent in the living room, and you should too',
    'Find the missing pole while the kettle is in reach. A rehearsal with cushions.',
    { daysAgo: 161, by: 'gwen', in: ['kit'], tags: ['tents', 'beginners', 'tea'], minutes: 4 },
  ),
  post(
    'lost-property-mountain',
    'The lost property office at 1,100 metres',
    'Nine tripods, a tuba mouthpiece and one wedding ring, reunited. The warden shows us the shelf he never dusts.',
    {
      daysAgo: 168,
      by: 'tobias',
      in: ['mishaps'],
      tags: ['mountains', 'boots'],
      minutes: 9,
      audience: { reach: 2, spike: { age: 12, views: 2600 } },
    },
  ),
  post(
    'stove-too-small',
    'The smallest stove in the world, reviewed by the hungriest person',
    'It weighs less than its box, and boils an egg in the time it takes to walk home and fry one.',
    { daysAgo: 174, by: 'priya', in: ['kitchen', 'kit'], tags: ['tea', 'mountains'], minutes: 6 },
  ),
  post('hail-a-taxonomy', 'Hail, a taxonomy', 'From sago to golf ball, with a section on hats.', {
    daysAgo: 181,
    by: 'oskar',
    in: ['weather'],
    tags: ['rain', 'mountains', 'tents'],
    minutes: 4,
  }),
  post(
    'platform-to-summit',
    'Twelve summits that start at a railway platform',
    'No car, no shuttle, no excuse. With the last train home for each, in bold.',
    {
      daysAgo: 188,
      by: 'maren',
      in: ['walks'],
      tags: ['trains', 'mountains', 'budget'],
      minutes: 14,
      audience: { reach: 2, steady: 21 },
    },
  ),
  post(
    'badger-on-the-path',
    'After you, said the badger',
    'A narrow path, two parties, one lantern. On giving way, and the sound a badger makes when thanked.',
    { daysAgo: 195, by: 'gwen', in: ['wildlife', 'mishaps'], tags: ['night', 'dogs'], minutes: 5 },
  ),
  post(
    'gps-said-lake',
    'The navigator said turn left, the lake said otherwise',
    'Batteries, reflections off cliffs, and the four other ways in which a phone is confidently wrong.',
    { daysAgo: 202, by: 'oskar', in: ['navigation', 'mishaps'], tags: ['maps', 'beginners'], minutes: 7 },
  ),
  post(
    'one-pan-everything',
    'One pan, everything, no regrets',
    'Pancakes, then noodles, then the pan again. Eight camp dinners in the order that saves the washing-up.',
    {
      daysAgo: 208,
      by: 'priya',
      in: ['kitchen'],
      tags: ['tents', 'budget', 'cheese'],
      minutes: 9,
      audience: { steady: 8 },
    },
  ),
  post(
    'lighthouse-keepers-loop',
    "The lighthouse keeper's loop",
    'Fourteen kilometres of cliff and thrift, and a cake tin with an honesty box where you least expect one.',
    { daysAgo: 215, by: 'tobias', in: ['walks'], tags: ['coast', 'tea'], minutes: 8 },
  ),
  post(
    'mud-regional-guide',
    'A regional guide to mud',
    'The clinging, the swallowing, the merely decorative. Samples were taken, mostly by the dog.',
    { daysAgo: 222, by: 'gwen', in: ['walks', 'weather'], tags: ['boots', 'rain', 'dogs'], minutes: 6 },
  ),
  post(
    'first-night-alone',
    'Your first night alone in a tent',
    'The noises, in order of appearance, and what each of them was: hedgehog, hedgehog, wind, zip, hedgehog.',
    {
      daysAgo: 229,
      by: 'maren',
      in: ['kit', 'wildlife'],
      tags: ['tents', 'night', 'beginners'],
      minutes: 8,
      audience: { reach: 2, steady: 13 },
    },
  ),
  post(
    'biscuit-structural-test',
    'Biscuits under load',
    'Dunk time, crush strength, performance below freezing. Our engineer got carried away, and we let her.',
    { daysAgo: 236, by: 'priya', in: ['kitchen'], tags: ['tea', 'winter'], minutes: 6 },
  ),
  post(
    'thunder-count',
    'Counting after lightning: how to do it, when to stop, where to be',
    'Three seconds a kilometre, off the ridge, and put down the umbrella, Tobias.',
    { daysAgo: 242, by: 'oskar', in: ['weather'], tags: ['mountains', 'rain', 'beginners'], minutes: 6 },
  ),
  post(
    'gate-that-would-not',
    'The gate that would not open, and the farmer who watched',
    'It was a pull. It had been a pull for forty years.',
    { daysAgo: 249, by: 'tobias', in: ['mishaps'], tags: ['dogs', 'rain'], minutes: 3 },
  ),
  post(
    'sandwich-geometry',
    'The geometry of a sandwich that survives the climb',
    'Load-bearing lettuce, a moisture barrier of butter, and why the tomato travels separately. With diagrams.',
    {
      daysAgo: 256,
      by: 'priya',
      in: ['kitchen'],
      tags: ['sandwiches', 'cheese', 'mountains'],
      minutes: 7,
      audience: { reach: 3, steady: 12, spike: { age: 9, views: 5200 } },
    },
  ),
  post(
    'island-with-one-road',
    'The island with one road and four opinions about it',
    'A ferry, a day, a loop. Ask anybody the way and allow an hour.',
    { daysAgo: 262, by: 'maren', in: ['walks'], tags: ['coast', 'trains'], minutes: 10 },
  ),
  post(
    'headtorch-manners',
    'Headtorch manners',
    'Look down when spoken to. Red light in the hut. And no, it cannot be seen from space.',
    { daysAgo: 269, by: 'gwen', in: ['kit'], tags: ['night', 'beginners', 'tents'], minutes: 3 },
  ),
  post(
    'kingfisher-guarantee',
    'The only guaranteed kingfisher in the county',
    'Bench, bend, willow, wait. He has been on time for three years, and we have the log book.',
    { daysAgo: 276, by: null, in: ['wildlife', 'walks'], tags: ['tea', 'beginners'], minutes: 5 },
  ),
  post(
    'bearing-at-midnight',
    'Walking on a bearing at midnight',
    'Pace counts, a thin moon, and the wall that was exactly where it had to be.',
    { daysAgo: 283, by: 'oskar', in: ['navigation'], tags: ['night', 'maps', 'mountains'], minutes: 9 },
  ),
  post(
    'rucksack-archaeology',
    'Rucksack archaeology',
    'Layer by layer to the bottom of a twenty-year-old bag. The banana is thought to be early medieval.',
    { daysAgo: 290, by: 'gwen', in: ['kit', 'mishaps'], tags: ['sandwiches', 'maps'], minutes: 5 },
  ),
  post(
    'coast-path-in-bits',
    'The coast path, one Sunday at a time',
    'Ninety-four Sundays, no two with the same weather. A slow traveller finally reaches the other end.',
    { daysAgo: 297, by: 'tobias', in: ['walks'], tags: ['coast', 'trains', 'boots'], minutes: 13 },
  ),
  post(
    'chilli-for-twelve',
    'Chilli for twelve on a stove for two',
    'Relay cooking, a wheelbarrow, and the law of conservation of beans.',
    { daysAgo: 304, by: 'priya', in: ['kitchen', 'mishaps'], tags: ['tents', 'budget'], minutes: 6 },
  ),
  post('snow-by-sound', 'Telling snow by its sound', 'Squeak, crunch, whisper, whumpf. The last of these means stop.', {
    daysAgo: 311,
    by: 'oskar',
    in: ['weather'],
    tags: ['winter', 'mountains', 'boots'],
    minutes: 7,
  }),
  post(
    'how-to-pack-a-rucksack',
    'How to pack a rucksack so that the thing you need is on top',
    'It is raining: where is the jacket? Start from that question and pack backwards.',
    {
      daysAgo: 318,
      by: 'maren',
      in: ['kit'],
      tags: ['beginners', 'rain', 'tents'],
      minutes: 9,
      audience: { reach: 1.5, steady: 30 },
    },
  ),
  post(
    'swan-incident',
    'The swan incident: a full statement',
    'We were on the towpath. He felt that it was his. Our lawyer advises us to say that he was magnificent.',
    { daysAgo: 325, by: 'tobias', in: ['wildlife', 'mishaps'], tags: ['dogs', 'sandwiches'], minutes: 6 },
  ),
  post(
    'contour-lines-explained',
    'Contour lines, explained with a jam sponge',
    'Slice it level, draw around each slice, eat the valley. You will never misread a spur again.',
    {
      daysAgo: 332,
      by: 'oskar',
      in: ['navigation', 'kitchen'],
      tags: ['maps', 'beginners', 'tea'],
      minutes: 8,
      audience: { reach: 2, steady: 10 },
    },
  ),
  post(
    'sleeping-bag-ratings',
    'What a sleeping bag rated to minus five really means',
    'That a stranger survived. Comfort, limit and extreme, translated into hours of actual sleep.',
    {
      daysAgo: 340,
      by: 'gwen',
      in: ['kit'],
      tags: ['tents', 'winter', 'night'],
      minutes: 7,
      audience: { steady: 15 },
    },
  ),
  post(
    'hut-snoring-map',
    'A snoring map of the mountain huts',
    'Bunk by bunk, from data that our readers were too willing to share.',
    { daysAgo: 348, by: 'maren', in: ['walks'], tags: ['mountains', 'night', 'maps'], minutes: 6 },
  ),
  post(
    'wind-names',
    'Every wind has a name, and ours is Keith',
    'Mistral, föhn, bora, helm. And the one that lives at the corner by the car park.',
    { daysAgo: 359, by: 'oskar', in: ['weather'], tags: ['mountains', 'coast'], minutes: 5 },
  ),
  post(
    'leeches-and-other-commuters',
    'Leeches and other commuters',
    'A wet week in the rainforest, with passengers. How to remove them, and how to be polite about it.',
    { daysAgo: 371, by: 'priya', in: ['wildlife', 'mishaps'], tags: ['rain', 'boots'], minutes: 8 },
  ),
  post(
    'old-railway-line',
    'Thirty kilometres of railway without a train',
    'Viaducts, moss, a ticket office full of swallows. The gradient was made for steam, and is kind to knees.',
    { daysAgo: 384, by: 'tobias', in: ['walks'], tags: ['trains', 'beginners', 'dogs'], minutes: 10 },
  ),
  post(
    'why-we-walk-the-long-way',
    'Why we take the long way round',
    'The short way had a queue. Our first post, and still the whole of our philosophy.',
    {
      daysAgo: 398,
      by: 'maren',
      in: ['walks'],
      tags: ['sandwiches', 'maps', 'tea'],
      minutes: 4,
      audience: { steady: 2 },
    },
  ),
]
