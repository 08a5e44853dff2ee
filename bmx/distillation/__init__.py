"""What a student learns from a frozen teacher: losses, the layers they look at, and the teacher's kept outputs."""
