// An ordinary comment is no documentation of the module.

fn nothing() {}
