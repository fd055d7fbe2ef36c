package kernel

import "math"

// attnWork is the memory of one attention task. Matrices of a whole kv head
// are packed once for all query blocks that read them; tiles have attnRows
// rows of stride attnLd. What lies beyond the last row, key or channel is
// stale and may take part in a product, but never in a result.
type attnWork[T Float] struct {
	width int // D rounded up to 16: the row stride of the packed matrices

	keysT, valuesT []T // panels of attnPanel keys, each (D,attnPanel)
	keys, values   []T // (keys,width)
	dkv            []T // (keys,2,width): gradients of the keys and values

	q, do  []T // tiles: the block's rows of q and of the gradient of o
	acc    []T // tile: the block's rows of o, or of the gradient of q
	p, dp  []T // tiles: scores, then probabilities, and their gradients
	capped []T // tile: tanh(Scale/SoftCap * q.k)

	max, sum, fall []T // forward, by row: maximum, sum and rescaling of the softmax
	lse, delta     []T // backward, by row: log-sum-exp, and o.do

	tiling *tiling[T]
	loops  *attnLoops[T]
	mask   *dropoutMask[T] // nil without dropout

	memory []T // all of the above; release it when done
}

// begin sets what both passes need.
func (w *attnWork[T]) begin(s *AttentionShape) {
	w.width, w.tiling, w.loops = s.width(), tilingOf[T](), attnLoopsOf[T]()
	if s.Dropout > 0 {
		w.mask = newDropoutMask[T](s.Dropout, s.Key, s.Ctr)
	}
}

// drop applies dropout to the columns [a,e) of the strip at row r of a tile
// that begins with key j0; row is the strip's first among the (B,H,T) rows. It
// takes whole groups of the mask, the fast path: around [a,e) nothing counts.
func (w *attnWork[T]) drop(s *AttentionShape, tile []T, r, rows, row, j0, a, e int) {
	if w.mask == nil {
		return
	}
	a, e = a/dropoutGroup*dropoutGroup, roundUp(e, dropoutGroup)
	groups := ceilDiv(s.keys(), dropoutGroup) // of a row
	for i := 0; i < rows; i++ {
		x := tile[(r+i)*attnLd+a : (r+i)*attnLd+e]
		block := uint64(((row+i)*groups + (j0+a)/dropoutGroup) * dropoutLanes)
		loopsOf[T]().dropout(x, x, w.mask, block)
	}
}

// layout cuts the work's memory for the forward pass of a shape.
func (w *attnWork[T]) layout(s *AttentionShape) {
	w.begin(s)
	panels, packed := s.packedKeys()*s.D, s.packedKeys()*w.width
	w.memory = workspace[T](panels + packed + 3*attnTile + 3*attnRows)
	c := cutter[T]{w.memory}
	w.q, w.p, w.acc = c.cut(attnTile), c.cut(attnTile), c.cut(attnTile)
	w.max, w.sum, w.fall = c.cut(attnRows), c.cut(attnRows), c.cut(attnRows)
	w.keysT, w.values = c.cut(panels), c.cut(packed)
}

// layoutStrip cuts the work's memory for strips that read keys and values in
// place.
func (w *attnWork[T]) layoutStrip(s *AttentionShape) {
	w.begin(s)
	const strip = attnStrip * attnLd
	w.memory = workspace[T](2*strip + 3*attnStrip)
	c := cutter[T]{w.memory}
	w.p, w.acc = c.cut(strip), c.cut(strip)
	w.max, w.sum, w.fall = c.cut(attnStrip), c.cut(attnStrip), c.cut(attnStrip)
}

// layoutBackward cuts the work's memory for the backward pass of a shape.
func (w *attnWork[T]) layoutBackward(s *AttentionShape) {
	w.begin(s)
	panels, packed := s.packedKeys()*s.D, s.packedKeys()*w.width
	w.memory = workspace[T](2*panels + 3*packed + 6*attnTile + 2*attnRows)
	c := cutter[T]{w.memory}
	w.q, w.p, w.acc = c.cut(attnTile), c.cut(attnTile), c.cut(attnTile)
	w.do, w.dp, w.capped = c.cut(attnTile), c.cut(attnTile), c.cut(attnTile)
	w.lse, w.delta = c.cut(attnRows), c.cut(attnRows)
	w.keysT, w.valuesT = c.cut(panels), c.cut(panels)
	w.keys, w.dkv = c.cut(packed), c.cut(2*packed)
}

// cutter cuts memory into consecutive slices.
type cutter[T Float] struct{ rest []T }

func (c *cutter[T]) cut(n int) []T {
	x := c.rest[:n:n]
	c.rest = c.rest[n:]
	return x
}

// copyRows copies rows of D channels, a few at a time, since assembly cannot be
// preempted.
func (w *attnWork[T]) copyRows(dst []T, lddst int, src []T, ldsrc, rows, D int) {
	for r := 0; r < rows; r += attnKeys {
		w.loops.copyRows(dst[r*lddst:], lddst, src[r*ldsrc:], ldsrc, min(attnKeys, rows-r), D)
	}
}

// packPanels transposes rows of D channels into panels of attnPanel rows.
func (w *attnWork[T]) packPanels(dst, src []T, ldsrc, rows, D int) {
	keys := operand[T]{data: src, ld: ldsrc}
	for r := 0; r < rows; r += attnPanel {
		w.tiling.packPanel(dst[r*D:], attnPanel, keys, r, min(attnPanel, rows-r), 0, D)
	}
}

// scores computes the columns [a,e) of the strip of tile p at row r: the rows
// of q times the keys from j0+a on, or with a soft-cap the tanh of Scale/SoftCap
// times that. Times factor() they are the logits.
func (w *attnWork[T]) scores(s *AttentionShape, r, rows, j0, a, e int) {
	x := w.p[r*attnLd+a:]
	w.mulRows(x, w.q[r*attnLd:], w.keysT[(j0+a)*s.D:], attnPanel, attnPanel*s.D, rows, e-a, s.D, false)
	if s.SoftCap > 0 {
		w.loops.tanh(x, rows, e-a, T(s.Scale/s.SoftCap))
	}
}

// hide makes -Inf of the scores that the mask hides, in the columns [a,e) of
// the strip of tile p at row r0. The tile begins with key j0, its block at
// position pos; mask is the sequence's key mask or nil.
func (w *attnWork[T]) hide(s *AttentionShape, mask []bool, pos, r0, rows, j0, a, e int) {
	if mask == nil && s.covers(pos, r0, r0+rows, j0, a, e) {
		return
	}
	x := w.p[r0*attnLd+a:]
	for r := 0; r < rows; r++ {
		lo, hi := s.span(pos, r0+r, r0+r+1, j0+a, e-a)
		hideOutside(x[r*attnLd:][:e-a], lo, hi)
	}
	hideKeys(x, mask, rows, j0+a, j0+e)
}

// hideOutside makes -Inf of what lies outside [lo,hi), which may itself lie
// outside of x.
func hideOutside[T Float](x []T, lo, hi int) {
	hidden := T(math.Inf(-1))
	for c := range x[:min(lo, len(x))] {
		x[c] = hidden
	}
	for c := max(hi, 0); c < len(x); c++ {
		x[c] = hidden
	}
}

// hideKeys makes -Inf of the columns of x that mask hides: x begins with key j0
// and ends before key j1. A nil mask hides none.
func hideKeys[T Float](x []T, mask []bool, rows, j0, j1 int) {
	hidden := T(math.Inf(-1))
	for j := j0; j < min(j1, len(mask)); j++ {
		for r := 0; r < rows && !mask[j]; r++ {
			x[r*attnLd+j-j0] = hidden
		}
	}
}
