"""The 16-point Gauss-Legendre rule on [0, 1] and its spectral integration matrix, as constants.

    integral of g over [0, 1]     =  Σ_m w_m g(x_m)
    integral of g over [0, x_k]   =  Σ_m c_mk g(x_m)

Both are exact for polynomials: the first of degree 31, the second of degree 15 (c_mk is the integral up to
x_k of the m-th Lagrange basis polynomial). The nodes lie symmetrically about ½, so that the matrix acts on
the even and the odd part of g separately, at half the cost. ``NODES`` is stored accordingly: eight rising
nodes below ½, then their eight mirror images. ``WEIGHTS`` holds the first eight weights (the mirror images
have the same), ``EVEN[m, k]`` = (c_mk + c_m'k)/2 and ``ODD[m, k]`` = (c_mk − c_m'k)/2, m' the mirror of m.

The numbers are committed, not computed at start, so that every machine integrates with the same bits; a
test derives them again with 60 digits.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ...jit import kernel

__all__ = ["EVEN", "NODES", "NODE_COUNT", "ODD", "WEIGHTS", "cumulate", "integrate"]

NODE_COUNT: Final = 16

# fmt: off
NODES: Final = np.array(
    [
        0.005299532504175033, 0.02771248846338371, 0.06718439880608412, 0.12229779582249849,
        0.19106187779867811, 0.2709916111713863, 0.35919822461037054, 0.4524937450811813,
        0.994700467495825, 0.9722875115366163, 0.9328156011939158, 0.8777022041775016,
        0.8089381222013219, 0.7290083888286137, 0.6408017753896295, 0.5475062549188188,
    ],
    dtype=np.float64,
)

WEIGHTS: Final = np.array(
    [
        0.013576229705877048, 0.031126761969323947, 0.04757925584124639, 0.06231448562776694,
        0.07479799440828837, 0.08457825969750127, 0.09130170752246179, 0.09472530522753425,
    ],
    dtype=np.float64,
)

EVEN: Final = np.array(
    [
        [
            0.0033842995844689705, 0.007359083855303316, 0.006496577747768892, 0.006980578895892316,
            0.006642411574997948, 0.006909026948754192, 0.0066804288041842595, 0.006889967661384878,
        ],
        [
            -0.0012407322542641818, 0.007729456614199506, 0.01698525801484273, 0.014778163238015694,
            0.01611727106220869, 0.01511906826363901, 0.01595240448933289, 0.015198096946095207,
        ],
        [
            0.000887378213289055, -0.001967896767098446, 0.011762293492687344, 0.02605186923632375,
            0.022484009398873798, 0.024754733866275955, 0.022976230015563582, 0.02454148135596487,
        ],
        [
            -0.0006695354234656832, 0.001244267322914182, -0.002539038308912987, 0.015318717006741055,
            0.034236079827308336, 0.02930397395999421, 0.032598172031808856, 0.029865914719690752,
        ],
        [
            0.0004976367614694991, -0.0008624501113432376, 0.0014439964415463504, -0.002944294566749946,
            0.018242673184202876, 0.041284447300328174, 0.03492324879193497, 0.039477639677905414,
        ],
        [
            -0.0003461463285421623, 0.000580143776295609, -0.0008962394812577486, 0.0014941286762754624,
            -0.0031336672096923734, 0.020359754580713988, 0.04706323292034539, 0.038905243134909916,
        ],
        [
            0.00020460930892193254, -0.0003372075366949922, 0.0005017610328282371, -0.0007730128224928103,
            0.0013359753895196337, -0.0029824137474892274, 0.02135670862002583, 0.05191121944827488,
        ],
        [
            -6.77436097899127e-05, 0.00011084707811591942, -0.00016240953646075285, 0.0002427482472437179,
            -0.00039381432807984463, 0.0007472144134768561, -0.0019513133680105082, 0.01945730959636472,
        ],
    ],
    dtype=np.float64,
)

ODD: Final = np.array(
    [
        [
            0.0034038152684695536, 0.007329271883791323, 0.006534911009234032, 0.0069339840936715556,
            0.006697791161277481, 0.006843677146191446, 0.0067576901976581, 0.006797824009382032,
        ],
        [
            -0.0013090833474022387, 0.007833924370462467, 0.016850796123184887, 0.014941855950853464,
            0.01592228471648748, 0.01534987461438049, 0.015678342457057053, 0.01552695660358216,
        ],
        [
            0.0010217209648476686, -0.0021734304088691938, 0.012027334427935852, 0.02572827111206545,
            0.022871096926982408, 0.02429380485363531, 0.023528149606581485, 0.023871204061948505,
        ],
        [
            -0.0008834041628887753, 0.0015719733403776154, -0.0029628543250892073, 0.01583852580714241,
            0.033610145500848045, 0.030056417847079943, 0.03168483312653405, 0.030997552305336684,
        ],
        [
            0.0008027496002038538, -0.0013310047143347426, 0.0020525257312769872, -0.0036956227977202223,
            0.019156324019941308, 0.04017030064862652, 0.03630451296692095, 0.03770996502672194,
        ],
        [
            -0.0007532676495625127, 0.0012072954052406327, -0.0017156002098767432, 0.0025154063751701913,
            -0.004393494904193792, 0.02192937526803665, 0.045051918971818074, 0.04162195760200034,
        ],
        [
            0.0007242010735392332, -0.0011410923589749331, 0.001560861268510133, -0.002111215340867254,
            0.0030220069297162496, -0.005153614698195407, 0.024294145141205068, 0.047531642025600396,
        ],
        [
            -0.0007106566828481043, 0.0011116364137742293, -0.0014968612873379613, 0.0019629697114404085,
            -0.002632424095640338, 0.0037898592731795072, -0.00649511456722024, 0.027905343017402405,
        ],
    ],
    dtype=np.float64,
)
# fmt: on


@kernel
def cumulate(values: npt.NDArray[np.float64], row: int, out: npt.NDArray[np.float64]) -> float:
    """Integrate from 0 to every node the polynomial through ``values[row]``; returns its integral to 1.

    ``values`` and ``out`` are (rows, 16), in the order of ``NODES``; the result goes into the same row.
    """
    half = values.shape[1] >> 1  # not a constant: an unrolled loop would not become SIMD code
    l0, l1, l2, l3 = values[row, 0], values[row, 1], values[row, 2], values[row, 3]
    l4, l5, l6, l7 = values[row, 4], values[row, 5], values[row, 6], values[row, 7]
    r0, r1, r2, r3 = values[row, 8], values[row, 9], values[row, 10], values[row, 11]
    r4, r5, r6, r7 = values[row, 12], values[row, 13], values[row, 14], values[row, 15]
    e0, e1, e2, e3, e4, e5, e6, e7 = l0 + r0, l1 + r1, l2 + r2, l3 + r3, l4 + r4, l5 + r5, l6 + r6, l7 + r7
    o0, o1, o2, o3, o4, o5, o6, o7 = l0 - r0, l1 - r1, l2 - r2, l3 - r3, l4 - r4, l5 - r5, l6 - r6, l7 - r7
    whole: float = ((WEIGHTS[0] * e0 + WEIGHTS[1] * e1) + (WEIGHTS[2] * e2 + WEIGHTS[3] * e3)) + (
        (WEIGHTS[4] * e4 + WEIGHTS[5] * e5) + (WEIGHTS[6] * e6 + WEIGHTS[7] * e7)
    )
    for k in range(half):
        even = ((EVEN[0, k] * e0 + EVEN[1, k] * e1) + (EVEN[2, k] * e2 + EVEN[3, k] * e3)) + (
            (EVEN[4, k] * e4 + EVEN[5, k] * e5) + (EVEN[6, k] * e6 + EVEN[7, k] * e7)
        )
        odd = ((ODD[0, k] * o0 + ODD[1, k] * o1) + (ODD[2, k] * o2 + ODD[3, k] * o3)) + (
            (ODD[4, k] * o4 + ODD[5, k] * o5) + (ODD[6, k] * o6 + ODD[7, k] * o7)
        )
        out[row, k] = even + odd
        out[row, half + k] = (whole - even) + odd
    return whole


@kernel
def integrate(values: npt.NDArray[np.float64], row: int) -> float:
    """The integral over [0, 1] of the polynomial through ``values[row]``; summed as a tree of fixed shape."""
    e0, e1 = values[row, 0] + values[row, 8], values[row, 1] + values[row, 9]
    e2, e3 = values[row, 2] + values[row, 10], values[row, 3] + values[row, 11]
    e4, e5 = values[row, 4] + values[row, 12], values[row, 5] + values[row, 13]
    e6, e7 = values[row, 6] + values[row, 14], values[row, 7] + values[row, 15]
    whole: float = ((WEIGHTS[0] * e0 + WEIGHTS[1] * e1) + (WEIGHTS[2] * e2 + WEIGHTS[3] * e3)) + (
        (WEIGHTS[4] * e4 + WEIGHTS[5] * e5) + (WEIGHTS[6] * e6 + WEIGHTS[7] * e7)
    )
    return whole
