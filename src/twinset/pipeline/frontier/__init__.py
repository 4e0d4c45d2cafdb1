"""Several settings on the same private images, each run, audited and weighed: which release of which is recommended.

Every setting is a run of its own, on one split. Its releases are audited on the training images and those held out;
usefulness is measured on validation images, and of the recommended one, once, on test images.
"""
