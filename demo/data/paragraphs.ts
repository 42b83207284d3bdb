import { sample } from './seeded-random.ts'

/** Paragraphs that suit any demo post. */
const demoParagraphs = [
  'The map says there is a path here. The map also says there is a pub. Of the two, the path has been the bigger disappointment, because we had expected so little of the pub.',
  'Nobody plans to be out after dark. It happens the way most things do: one more viewpoint, one more sandwich, one more conversation with a man about his wall.',
  'We asked the farmer whether it was far. He looked at our boots for a while and said that it depended. It did depend. It depended on the boots.',
  'There is a kind of rain that does not fall so much as loiter. You will not notice it for an hour, and then you will notice nothing else until Thursday.',
  'A good rule: eat the second sandwich before you need it, and the first one before you are asked to share it.',
  'The view from the top is exactly as promised. It is the inside of a cloud. The cloud is well kept, and there is a bench.',
  'Our method is simple. We walk until somebody says that this cannot be right, and then we walk for another twenty minutes to be sure.',
  'What the guidebook calls an easy scramble is, on the day, a discussion. It was settled in the end by a small dog, who simply went up.',
  'We counted eleven gates, four of them locked, two of them without a fence on either side. Somebody had climbed those anyway. We know, because it was us.',
  'On the way down the light came in sideways, the wall was warm, and nobody said anything for a mile. It is for this that we put up with the rest.',
  'The bus leaves at ten to five, or did once. There is a timetable in the shelter, behind glass, under moss. It is a beautiful timetable.',
  'If you take only one thing with you, take a flask. If you take two, take a friend who carries one as well.',
  'It is not far as the crow flies, and we told each other so many times. We met the crow at the top. It had taken the long way round, too.',
  'There is a moment on every walk when the kettle in your head goes on. From there it is all downhill, whatever the contour lines say.',
  'We have been asked to mention the bog. We have agreed, between us, not to describe the bog. It is on the left. It is also on the right.',
  'Pack less than you think, then take one thing out, then put the cheese back in.',
]

/** The text of a demo post, which depends only on its slug. */
export function demoText(slug: string): string[] {
  return sample(demoParagraphs, 4, slug)
}
