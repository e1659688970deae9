//! Five blocks inside each other, the last two in a macro.

async fn deep(values: Vec<Option<u32>>) {
    for value in values {
        if let Some(value) = value {
            while value > 1 {
                select! {
                    _ = std::future::ready(()) => {
                        if value > 2 {
                            drop(value);
                        }
                    }
                }
            }
        }
    }
}
