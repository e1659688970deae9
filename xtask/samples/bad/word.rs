//! A second word for the primary.

struct OldMaster;
