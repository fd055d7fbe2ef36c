//go:build amd64 && !purego

package kernel

func tiling32() *tiling[float32] {
	switch {
	case useAVX512:
		return &avx512Tiling32
	case useAVX2:
		return &avx2Tiling32
	}
	return &portable32
}

func tiling64() *tiling[float64] {
	switch {
	case useAVX512:
		return &avx512Tiling64
	case useAVX2:
		return &avx2Tiling64
	}
	return &portable64
}

var (
	avx512Tiling32 = tiling[float32]{
		rows: 14, cols: 32, stride: 16, kc: 768, mc: 126, nc: 384,
		copyPanel: spackCopyAVX512, transposePanel: spackTransposeAVX512, lanes: 16,
		tile: sgemmTileAVX512, tileRows: sgemmTileRowsAVX512, unpacked: true,
	}
	avx512Tiling64 = tiling[float64]{
		rows: 14, cols: 16, stride: 16, kc: 256, mc: 168, nc: 384,
		copyPanel: dpackCopyAVX512, transposePanel: dpackTransposeAVX512, lanes: 8,
		tile: dgemmTileAVX512, unpacked: true,
	}
	avx2Tiling32 = tiling[float32]{
		rows: 6, cols: 16, stride: 8, kc: 256, mc: 96, nc: 384,
		copyPanel: spackCopyAVX2, transposePanel: spackTransposeAVX2, lanes: 8,
		tile: sgemmTileAVX2, tileRows: sgemmTileRowsAVX2, unpacked: true,
	}
	avx2Tiling64 = tiling[float64]{
		rows: 6, cols: 8, stride: 8, kc: 256, mc: 96, nc: 384,
		copyPanel: dpackCopyAVX2, transposePanel: dpackTransposeAVX2, lanes: 4,
		tile: dgemmTileAVX2, unpacked: true,
	}
)
