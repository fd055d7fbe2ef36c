package kernel

// operand is op(A) or op(B) as the product sees it: for each k a vector along
// the other dimension, x (rows of C for A, columns of C for B).
type operand[T Float] struct {
	data   []T
	ld     int
	kMajor bool // element (x,k) is data[k*ld+x]; otherwise data[x*ld+k]
}

// at returns the data from element (x,k) on.
func (o operand[T]) at(x, k int) []T {
	if o.kMajor {
		return o.data[k*o.ld+x:]
	}
	return o.data[x*o.ld+k:]
}

// packStep is the number of k to pack of one panel before going to the next.
// Where each k is a row of memory, neighbouring panels share its pages.
func (o operand[T]) packStep(depth int) int {
	if o.kMajor {
		return min(depth, 16)
	}
	return depth
}

// packPanel copies the elements (x0+x, k0+k), 0 <= x < width, 0 <= k < depth,
// to dst[k*stride+x]. A panel is what one pass of the tile kernel reads, in
// the order in which it reads it. What dst holds between width and stride is
// not defined afterwards; kernels may read it but no result depends on it.
func (t *tiling[T]) packPanel(dst []T, stride int, o operand[T], x0, width, k0, depth int) {
	if o.kMajor {
		t.copyPanel(dst, stride, o.at(x0, k0), o.ld, width, depth)
		return
	}
	for x := 0; x < width; x += t.lanes {
		t.transposePanel(dst[x:], stride, o.at(x0+x, k0), o.ld, min(t.lanes, width-x), depth)
	}
}
