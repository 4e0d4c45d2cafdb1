"""The gap-closing loop: steps that bring a generator nearer to the exposed images, each measured before and after."""
