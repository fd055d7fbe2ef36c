package kernel

// AttentionShape says what causal attention computes. Query i of a sequence
// stands at position Past+i and attends to the keys j with
//
//	0 <= Past+i-j < Window, KeyMask[b][j]
//
// with probabilities softmax_j(l), l = Scale * q_i.k_j, or, with a soft-cap,
// l = SoftCap * tanh(Scale * q_i.k_j / SoftCap) (Gemma 2, Grok-1). A query
// without any key to attend to gives a row of zeros. What the mask hides has
// the probability 0 and must be finite all the same: 0 * NaN is NaN.
//
// The row of token (b,t) and head h of q begins at q[(b*T+t)*ldq + h*D]; o and
// the gradients of both are laid out alike. The row of key (b,j) and kv head g
// begins at k[(b*Cap+j)*ldk + g*D]. Query head h reads kv head h/(H/K). So a
// packed (B,T,3C) is passed as q = x, k = x[C:], v = x[2C:] with ld = 3C.
type AttentionShape struct {
	B, T, H, K, D int     // batch, queries per sequence, heads, kv heads (K divides H), head size 1..256
	Past          int     // keys before the first query (a cache of earlier tokens); there are Past+T keys
	Cap           int     // rows of k and v per sequence; 0 means Past+T
	Scale         float64 // > 0, commonly 1/sqrt(D)
	Window        int     // keys seen by a query, itself included; 0 means all
	SoftCap       float64 // 0 means none
	KeyMask       []bool  // (B,Cap), false: never attended to; nil means all are

	// Dropout is the probability of dropping an attention probability; what
	// stays is divided by 1-Dropout. The mask is a pure function of Key, Ctr
	// and (b,h,i,j), so the backward pass sees the same one.
	Dropout float64
	Key     [2]uint32
	Ctr     [2]uint32
}

const (
	attnStrip = 8             // rows of one tile product
	attnRows  = 64            // queries in a block
	attnKeys  = 256           // keys in a tile
	attnLd    = attnKeys + 16 // row stride of all tiles; + 16 spreads the rows over the cache's sets
	attnPanel = 32            // keys in a packed panel
	attnTile  = attnRows * attnLd

	attnTasks  = 16      // tasks to cut a call into at least, if it has the blocks
	attnShares = 8 << 20 // elements of all tasks' shares of the gradients of k and v
)

// MaxHeadSize is the largest head size of attention.
const MaxHeadSize = 256

// keys returns the number of keys of a sequence.
func (s *AttentionShape) keys() int { return s.Past + s.T }

// rows returns the rows of k and v from one sequence to the next.
func (s *AttentionShape) rows() int {
	if s.Cap == 0 {
		return s.keys()
	}
	return s.Cap
}

// packedKeys returns the keys of a sequence rounded up to whole panels.
func (s *AttentionShape) packedKeys() int { return roundUp(s.keys(), attnPanel) }

// width returns D rounded up to whole vectors: the row stride of packed rows.
func (s *AttentionShape) width() int { return roundUp(s.D, 16) }

// shareSize returns the elements of the gradients of one kv head's k and v.
func (s *AttentionShape) shareSize() int { return s.packedKeys() * 2 * s.width() }

// kvRows returns the rows of k and v that the call reads, gaps included.
func (s *AttentionShape) kvRows() int {
	return max(0, s.B-1)*s.rows() + s.keys()
}

// mask returns the key mask of sequence b, nil for none.
func (s *AttentionShape) mask(b int) []bool {
	if s.KeyMask == nil {
		return nil
	}
	return s.KeyMask[b*s.rows():][:s.keys()]
}

// firstKey returns the first key that the window leaves to position p.
func (s *AttentionShape) firstKey(p int) int {
	if s.Window == 0 {
		return 0
	}
	return max(0, p-s.Window+1)
}

// firstTile returns where the tiles of a block at position pos begin: at the
// panels, and the group of dropout, of the first key that it sees.
func (s *AttentionShape) firstTile(pos int) int {
	return s.firstKey(pos) / dropoutGroup * dropoutGroup
}

// span returns the columns [lo,hi) that the rows [r0,r1) of a block attend to
// in a tile: pos is the position of the block's row 0, the tile's n keys begin
// with key j0. It is empty, hi <= lo, where the mask hides all of them.
func (s *AttentionShape) span(pos, r0, r1, j0, n int) (lo, hi int) {
	return max(0, s.firstKey(pos+r0)-j0), min(n, pos+r1-j0)
}

// covers reports whether all rows [r0,r1) attend to all columns [a,e) of the
// tile at key j0.
func (s *AttentionShape) covers(pos, r0, r1, j0, a, e int) bool {
	return s.firstKey(pos+r1-1) <= j0+a && j0+e <= pos+r0+1
}

// blocks returns the number of query blocks of one kv head: all the blocks of
// its group of H/K query heads.
func (s *AttentionShape) blocks() int {
	return s.H / s.K * ceilDiv(s.T, attnRows)
}

// block returns the head and the queries [i0,i1) of block n of kv head g.
func (s *AttentionShape) block(g, n int) (h, i0, i1 int) {
	perHead := ceilDiv(s.T, attnRows)
	h = g*(s.H/s.K) + n/perHead
	i0 = n % perHead * attnRows
	return h, i0, min(i0+attnRows, s.T)
}

// parts returns into how many tasks the blocks of one kv head are cut. Task p
// takes the blocks p, p+parts, ..., which spreads the long rows of the causal
// triangle evenly. It depends on the shape alone.
func (s *AttentionShape) parts() int {
	return max(1, min(ceilDiv(attnTasks, s.B*s.K), s.blocks()))
}

// backwardParts is parts, limited by the memory that the tasks' shares of the
// gradients of k and v may take.
func (s *AttentionShape) backwardParts() int {
	return max(1, min(s.parts(), attnShares/(s.B*s.K*s.shareSize())))
}

// check panics on a shape that cannot be computed.
func (s *AttentionShape) check() {
	if s.B < 0 || s.T < 0 || s.H < 1 || s.K < 1 || s.H%s.K != 0 || s.D < 1 || s.D > MaxHeadSize {
		panic("kernel: attention: want B, T >= 0, K dividing H, 1 <= D <= 256")
	}
	if s.Past < 0 || s.Window < 0 || (s.Cap != 0 && s.Cap < s.keys()) {
		panic("kernel: attention: want Past, Window >= 0, Cap = 0 or >= Past+T")
	}
	if !(s.Scale > 0) || !(s.SoftCap >= 0) || !(s.Dropout >= 0 && s.Dropout < 1) {
		panic("kernel: attention: want Scale > 0, SoftCap >= 0, 0 <= Dropout < 1")
	}
	if s.KeyMask != nil && len(s.KeyMask) < s.B*s.rows() {
		panic("kernel: attention: KeyMask is shorter than (B,Cap)")
	}
}

// checkRows panics unless n elements hold that many rows of heads with stride ld.
func (s *AttentionShape) checkRows(n, rows, ld, heads int) {
	if ld < heads*s.D || (rows > 0 && n < (rows-1)*ld+heads*s.D) {
		panic("kernel: attention: a slice or its row stride is too short for the shape")
	}
}

// factor returns what turns a row of scores into logits: the scale, or the cap
// of the tanh that capScores has put in the scores' place.
func (s *AttentionShape) factor() float64 {
	if s.SoftCap > 0 {
		return s.SoftCap
	}
	return s.Scale
}

func roundUp(a, b int) int { return ceilDiv(a, b) * b }
