"""Real image in, varied image out: classical transforms and mixing. Every edit records its parents."""
