"""Attacks, one file each: given what is released, which real images were trained on?"""
