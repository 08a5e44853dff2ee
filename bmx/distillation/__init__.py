"""Knowledge distillation from frozen teachers: losses, feature taps, and cached teacher outputs."""
