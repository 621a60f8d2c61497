"""``/dashboard``: the pages for students, teachers and operators, rendered on the server; any replica can answer."""
