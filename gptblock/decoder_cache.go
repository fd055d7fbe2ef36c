package gptblock

import "github.com/gorget/gorget/internal/kernel"

// keyCache holds the keys and values of one layer. A layer without a window
// keeps all of them; one with a window W keeps at least the last W-1, which are
// all that later queries see.
type keyCache[T kernel.Float] struct {
	keys, values []T // (B,rows,width)
	rows, width  int
	window       int   // 0 means none
	first        []int // (B) the position whose key is row 0
}

func newKeyCache[T kernel.Float](batch, context, window, width int) keyCache[T] {
	rows := context
	if window > 0 {
		// Twice the window, so that what is kept moves once in W tokens.
		rows = min(rows, 2*window+decodeChunk)
	}
	return keyCache[T]{
		keys: make([]T, batch*rows*width), values: make([]T, batch*rows*width),
		rows: rows, width: width, window: window, first: make([]int, batch),
	}
}

// of are the keys and values of a sequence, both (rows,width).
func (c *keyCache[T]) of(sequence int) (keys, values []T) {
	n := c.rows * c.width
	return c.keys[sequence*n:][:n], c.values[sequence*n:][:n]
}

// place is the row of position past, where n new keys of a sequence go. If
// there is no room after it, what the window leaves to be seen moves to the
// front; n is at most decodeChunk.
func (c *keyCache[T]) place(sequence, past, n int) int {
	row := past - c.first[sequence]
	if row+n <= c.rows {
		return row
	}
	keep := min(row, c.window-1)
	keys, values := c.of(sequence)
	for _, x := range [][]T{keys, values} {
		copy(x, x[(row-keep)*c.width:row*c.width])
	}
	c.first[sequence] = past - keep
	return keep
}

func (c *keyCache[T]) forget(sequence int) { c.first[sequence] = 0 }
