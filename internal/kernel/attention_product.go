package kernel

// mulRows computes C = A B, or C += A B: A (rows,k) and C (rows,n) are of a
// strip. B (k,n) has rows of stride bs and is cut into panels of attnPanel
// columns, the next one bp elements after the last.
func (w *attnWork[T]) mulRows(c, a, b []T, bs, bp, rows, n, k int, add bool) {
	t := w.tiling
	step := stripStep(rows, t.rows)
	for j := 0; j < n; j += attnPanel {
		panel, width := b[j/attnPanel*bp:], min(attnPanel, n-j)
		if t.tileRows == nil {
			gemmSerial(false, false, rows, width, k, 1, a, attnLd, panel, bs, beta[T](add), c[j:], attnLd)
			continue
		}
		for i := 0; i < rows; i += step {
			for x := 0; x < width; x += t.cols {
				t.tileRows(min(step, rows-i), min(t.cols, width-x), k, 1, a[i*attnLd:], attnLd, panel[x:], bs,
					c[i*attnLd+j+x:], attnLd, add)
			}
		}
	}
}

// mulCols computes C += A' B, where A (k,attnStrip) are columns of a tile,
// B (k,n) rows of another and C (attnStrip,n) has rows of stride ldc.
func (w *attnWork[T]) mulCols(c []T, ldc int, a, b []T, n, k int) {
	t := w.tiling
	if !t.unpacked {
		gemmSerial(true, false, attnStrip, n, k, 1, a, attnLd, b, attnLd, 1, c, ldc)
		return
	}
	step := stripStep(attnStrip, t.rows)
	for i := 0; i < attnStrip; i += step {
		for x := 0; x < n; x += t.cols {
			t.tile(min(step, attnStrip-i), min(t.cols, n-x), k, 1, a[i:], attnLd, b[x:], attnLd, c[i*ldc+x:], ldc, true)
		}
	}
}

// stripStep cuts rows into equal steps of at most limit.
func stripStep(rows, limit int) int { return ceilDiv(rows, ceilDiv(rows, limit)) }

func beta[T Float](add bool) T {
	if add {
		return 1
	}
	return 0
}
