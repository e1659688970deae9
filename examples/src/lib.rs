//! Programs that use Howdah: the one-connection-string example and the embedding.
