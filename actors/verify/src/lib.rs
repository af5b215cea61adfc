//! Comparing both sides row by row: chunks, re-checks, correction statements.
