"""``/dashboard``: the student's, the teacher's and the operator's page, rendered here; any replica can answer."""
