//! The clients that are connected, by number and by cancel key.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::client::info::ClientInfo;

#[derive(Debug, Default)]
struct Books {
    by_id: HashMap<u64, Arc<ClientInfo>, foldhash::fast::RandomState>,
    by_key: HashMap<[u8; 8], u64, foldhash::fast::RandomState>,
}

/// All connected clients.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    books: Mutex<Books>,
    left: Notify,
}

impl Registry {
    pub(crate) fn add(&self, client: &Arc<ClientInfo>) {
        let mut books = self.books.lock();
        books.by_key.insert(client.cancel_key, client.id);
        books.by_id.insert(client.id, Arc::clone(client));
    }

    pub(crate) fn remove(&self, client: &ClientInfo) {
        let mut books = self.books.lock();
        books.by_key.remove(&client.cancel_key);
        books.by_id.remove(&client.id);
        drop(books);
        self.left.notify_waiters();
    }

    pub(crate) fn by_id(&self, id: u64) -> Option<Arc<ClientInfo>> {
        self.books.lock().by_id.get(&id).cloned()
    }

    /// The client that this cancel key was given to.
    pub(crate) fn by_key(&self, key: &[u8; 8]) -> Option<Arc<ClientInfo>> {
        let books = self.books.lock();
        books.by_key.get(key).and_then(|id| books.by_id.get(id)).cloned()
    }

    /// All of them, in the order of their numbers.
    pub(crate) fn all(&self) -> Vec<Arc<ClientInfo>> {
        let mut all: Vec<_> = self.books.lock().by_id.values().cloned().collect();
        all.sort_unstable_by_key(|client| client.id);
        all
    }

    /// Ready when the next client has left, or at once when none is there.
    pub(crate) async fn left(&self) {
        let left = self.left.notified();
        tokio::pin!(left);
        left.as_mut().enable();
        if self.len() > 0 {
            left.await;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.books.lock().by_id.len()
    }
}
