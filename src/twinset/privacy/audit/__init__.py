"""Audits of what is to be released: attacks, controls, and one answer for each release."""
