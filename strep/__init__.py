"""Receive forked call audio and keep it right: see the README."""
