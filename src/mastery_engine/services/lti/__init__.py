"""LTI 1.3 Advantage: who may launch, what a launch opens, rosters and scores. One class for one capability."""
