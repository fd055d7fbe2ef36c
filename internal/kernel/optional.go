package kernel

// optionalRows is a matrix that may be absent; then every row is zero. It
// spares the row kernels a second body.
type optionalRows[T Float] struct {
	data  []T
	cols  int
	zeros []T // a workspace, if data is nil
}

func rowsOrZeros[T Float](data []T, rows, cols int) optionalRows[T] {
	if data != nil {
		checkLen("optional operand", rows*cols, data)
		return optionalRows[T]{data: data, cols: cols}
	}
	zeros := workspace[T](cols)
	clear(zeros)
	return optionalRows[T]{cols: cols, zeros: zeros}
}

func (o optionalRows[T]) row(r int) []T {
	if o.zeros != nil {
		return o.zeros
	}
	return row(o.data, r, o.cols)
}

func (o optionalRows[T]) release() { release(o.zeros) }
