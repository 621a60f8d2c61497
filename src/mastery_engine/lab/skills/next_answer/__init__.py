"""The next answer to a known item: what is known of the student and the item, and what came just before.

Knowledge tracing (``domain.skills``) says how likely the next answer on a skill is right. This model says it of an item
at its place in a student's work, and is what the backtest measures against the models that people would use instead.
"""
