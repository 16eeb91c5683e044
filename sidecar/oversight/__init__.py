"""What the procuratorate sees: alerts as CloudEvents with a gapless sequence."""
