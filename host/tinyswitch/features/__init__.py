"""What models for motion are given instead of samples: computed by the firmware's own C."""
