"""What users wrote, and arrays -> short text that is safe to print in any picture."""
