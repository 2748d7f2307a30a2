//! Rules by example: given, when, then.
