"""Tests of the project that `choregraphie new` writes."""
