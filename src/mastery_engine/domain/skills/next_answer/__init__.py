"""The next answer to an item: what is known of the student and the item, and what came just before.

Knowledge tracing (``domain.skills.knowledge``) says how well a skill is known. This model says how likely the answer to
an item is right at its place in a student's work. The fold moves what it knows of the student with each answer; what
students share are parameters, which are learned beside the fold.
"""
