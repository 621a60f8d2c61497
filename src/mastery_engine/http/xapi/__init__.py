"""``/xapi``: the resources of xAPI, in its own words: its addresses, headers, statuses and documents."""
