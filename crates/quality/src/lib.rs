//! How much synthetic rows look like real ones, and how well they stand in for them.
