// Package atomicfile writes files that appear whole or not at all, and stay
// after a power failure: the data goes to a new file in the same folder, is
// flushed to the disk, takes the final name by a rename, and the folder is
// flushed too.
package atomicfile
