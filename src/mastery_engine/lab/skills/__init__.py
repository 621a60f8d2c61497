"""Fitting the models of skills and answers, and measuring them."""
