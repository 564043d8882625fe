"""What every Cortex-M has beside its instructions (ARM DDI 0403E, the ARMv7-M manual)."""
