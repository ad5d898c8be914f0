"""Agents: a model with instructions and parameters of its own, asked as `agent/NAME` or given tasks that outlive us."""
