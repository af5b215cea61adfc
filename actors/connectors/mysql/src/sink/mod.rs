//! Writing rows, fenced.
