"""OneRoster 1.1 and 1.2 (1EdTech): a school's users, classes and enrolments, as a zip of CSV files."""
