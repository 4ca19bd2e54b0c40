"""The laboratory: recorded tables, live workloads and an exactly solvable one, on which searches are measured."""
