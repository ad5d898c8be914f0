"""What a vendor refuses beyond the structure of a body: one file a vendor, one function a rule. Each raises a Refusal."""
