package kernel

// Embedding copies row ids[r] of table (vocab, cols) to row r of y
// (len(ids), cols).
func Embedding[T Float](y, table []T, ids []int32, cols int) {
	checkLen("Embedding", len(ids)*cols, y)
	ParallelRange(len(ids), rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			copy(row(y, r, cols), row(table, int(ids[r]), cols))
		}
	})
}

// EmbeddingBackward sets row t of dtable (vocab, cols) to the sum of the rows
// r of dy with ids[r] = t, in the order of r.
func EmbeddingBackward[T Float](dtable, dy []T, ids []int32, vocab, cols int) {
	embeddingBackward("EmbeddingBackward", true, dtable, dy, ids, vocab, cols)
}

// EmbeddingBackwardAdd adds to dtable what EmbeddingBackward sets it to: for
// a table whose gradient already holds that of a tied output projection.
func EmbeddingBackwardAdd[T Float](dtable, dy []T, ids []int32, vocab, cols int) {
	embeddingBackward("EmbeddingBackwardAdd", false, dtable, dy, ids, vocab, cols)
}

// embeddingBackward cuts the table, not dy, so that each row has one writer
// and a fixed order of summation; the price, that each part scans all ids, is
// small beside the clearing of the part.
func embeddingBackward[T Float](name string, overwrite bool, dtable, dy []T, ids []int32, vocab, cols int) {
	const parts = 32
	checkLen(name+" dtable", vocab*cols, dtable)
	checkLen(name+" dy", len(ids)*cols, dy)
	for _, id := range ids {
		if uint(id) >= uint(vocab) {
			panic("kernel: " + name + ": id outside the vocabulary")
		}
	}
	add := loopsOf[T]().add
	ParallelRange(vocab, (vocab+parts-1)/parts, func(lo, hi int) {
		if overwrite {
			clear(dtable[lo*cols : hi*cols])
		}
		for r, id := range ids {
			if t := int(id); lo <= t && t < hi {
				add(row(dtable, t, cols), row(dtable, t, cols), row(dy, r, cols))
			}
		}
	})
}
