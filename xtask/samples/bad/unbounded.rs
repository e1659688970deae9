//! A queue that grows as long as it likes.

fn queue() {
    let (_sender, _receiver) = futures::channel::mpsc::unbounded::<u32>();
}
