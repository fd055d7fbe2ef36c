package dataset

// Streams of random numbers that one seed gives, kept apart by their number.
const (
	streamOrder uint64 = iota
	streamShift
	streamStart
)

// windowOrder maps the number of a window, counted from the beginning of the
// run, to where it starts.
type windowOrder struct {
	order  Order
	seed   uint64
	blocks int // windows an epoch (Shuffled)
	stride int // from one block to the next
	slack  int // by how much an epoch may shift its blocks
	starts int // places where a window may start (Random)

	epoch int // the one that perm and shift are of, -1 for none
	perm  permutation
	shift int
}

func (o *windowOrder) start(window int) int {
	switch o.order {
	case Sequential:
		return window * o.stride
	case Random:
		return below(hash(o.seed, streamStart, uint64(window)), o.starts)
	}
	if e := window / o.blocks; e != o.epoch { // a batch may run into the next epoch
		o.epoch = e
		o.perm = newPermutation(o.blocks, hash(o.seed, streamOrder), uint64(e))
		o.shift = below(hash(o.seed, streamShift, uint64(e)), o.slack+1)
	}
	return o.shift + o.stride*o.perm.at(window%o.blocks)
}
