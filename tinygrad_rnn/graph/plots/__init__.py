"""Traces, state Jacobians and gates -> plots: tables of numbers first, then one style for all."""
