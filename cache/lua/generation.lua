-- Replies: the current generation, or nothing.
requireMaster()
return currentGeneration()
