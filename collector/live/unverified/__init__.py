"""Unverified."""
