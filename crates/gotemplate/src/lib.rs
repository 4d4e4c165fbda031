//! Go's text/template: compiled once, typed and printed as Go does.
