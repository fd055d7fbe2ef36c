package kernel

var (
	portable32 = portableTiling[float32]()
	portable64 = portableTiling[float64]()
)

func portableTiling[T Float]() tiling[T] {
	return tiling[T]{
		rows: 2, cols: 4, stride: 2, kc: 256, mc: 128, nc: 512,
		tile:      tilePortable[T],
		copyPanel: copyPanelPortable[T], transposePanel: transposePanelPortable[T], lanes: 4,
	}
}

// tilePortable keeps a (2,4) tile in registers: eight sums, four elements of B
// and the products on their way are what sixteen registers hold. Panels are
// packed, so it may compute the whole tile and store the part asked for.
func tilePortable[T Float](m, n, k int, alpha T, a []T, _ int, b []T, _ int, c []T, ldc int, accumulate bool) {
	const rows, cols, unroll = 2, 4, 4
	var s00, s01, s02, s03, s10, s11, s12, s13 T
	for range k / unroll {
		// As arrays, their length is checked once for all elements.
		x, y := (*[rows * unroll]T)(a), (*[cols * unroll]T)(b)
		a, b = a[rows*unroll:], b[cols*unroll:]

		y0, y1, y2, y3 := y[0], y[1], y[2], y[3]
		xi := x[0]
		s00 += xi * y0
		s01 += xi * y1
		s02 += xi * y2
		s03 += xi * y3
		xi = x[1]
		s10 += xi * y0
		s11 += xi * y1
		s12 += xi * y2
		s13 += xi * y3

		y0, y1, y2, y3 = y[4], y[5], y[6], y[7]
		xi = x[2]
		s00 += xi * y0
		s01 += xi * y1
		s02 += xi * y2
		s03 += xi * y3
		xi = x[3]
		s10 += xi * y0
		s11 += xi * y1
		s12 += xi * y2
		s13 += xi * y3

		y0, y1, y2, y3 = y[8], y[9], y[10], y[11]
		xi = x[4]
		s00 += xi * y0
		s01 += xi * y1
		s02 += xi * y2
		s03 += xi * y3
		xi = x[5]
		s10 += xi * y0
		s11 += xi * y1
		s12 += xi * y2
		s13 += xi * y3

		y0, y1, y2, y3 = y[12], y[13], y[14], y[15]
		xi = x[6]
		s00 += xi * y0
		s01 += xi * y1
		s02 += xi * y2
		s03 += xi * y3
		xi = x[7]
		s10 += xi * y0
		s11 += xi * y1
		s12 += xi * y2
		s13 += xi * y3
	}
	for range k % unroll {
		x, y := (*[rows]T)(a), (*[cols]T)(b)
		a, b = a[rows:], b[cols:]
		s00 += x[0] * y[0]
		s01 += x[0] * y[1]
		s02 += x[0] * y[2]
		s03 += x[0] * y[3]
		s10 += x[1] * y[0]
		s11 += x[1] * y[1]
		s12 += x[1] * y[2]
		s13 += x[1] * y[3]
	}

	sums := [rows][cols]T{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		for j := range row {
			if accumulate {
				row[j] += alpha * sums[i][j]
			} else {
				row[j] = alpha * sums[i][j]
			}
		}
	}
}

func copyPanelPortable[T Float](dst []T, stride int, src []T, ld, width, k int) {
	for i := range k {
		copy(dst[i*stride:i*stride+width], src[i*ld:])
	}
}

func transposePanelPortable[T Float](dst []T, stride int, src []T, ld, width, k int) {
	for x := range width {
		for i, v := range src[x*ld : x*ld+k] {
			dst[i*stride+x] = v
		}
	}
}
