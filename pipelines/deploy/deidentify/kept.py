"""What a film keeps beyond what the profile's table names: attributes that say how it was made.

The table of PS3.15 E.1-1 lists what identifies; a header holds much more, and free text can stand
anywhere. So of what the table does not name, only these stay, and only with values of their form:
numbers that are numbers, terms that the standard defines, known codes.
"""

import re

_NUMBERS = """
AcquisitionNumber InstanceNumber SeriesNumber NumberOfFrames FrameIncrementPointer
ImagesInAcquisition PageNumberVector FrameTime FrameTimeVector FrameDelay CineRate
RecommendedDisplayFrameRate StartTrim StopTrim RepresentativeFrameNumber
SamplesPerPixel PlanarConfiguration Rows Columns PixelAspectRatio BitsAllocated BitsStored HighBit
PixelRepresentation SmallestImagePixelValue LargestImagePixelValue SmallestPixelValueInSeries
LargestPixelValueInSeries PixelPaddingValue PixelPaddingRangeLimit
PixelIntensityRelationshipSign
RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor
BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData
GreenPaletteColorLookupTableData BluePaletteColorLookupTableData LUTDescriptor LUTData
RescaleIntercept RescaleSlope WindowCenter WindowWidth LossyImageCompressionRatio
PixelSpacing ImagerPixelSpacing NominalScannedPixelSpacing SpatialResolution
EstimatedRadiographicMagnificationFactor SliceThickness
KVP Exposure ExposureInuAs ExposureTime ExposureTimeInuS XRayTubeCurrent XRayTubeCurrentInuA
GeneratorPower FocalSpots Sensitivity RelativeXRayExposure ExposureIndex TargetExposureIndex
DeviationIndex PhototimerSetting XRayOutput HalfValueLayer EntranceDose EntranceDoseInmGy OrganDose
ExposedArea ImageAndFluoroscopyAreaDoseProduct
DistanceSourceToDetector DistanceSourceToPatient DistanceSourceToEntrance
BodyPartThickness CompressionForce CompressionPressure CompressionContactArea
PositionerPrimaryAngle PositionerSecondaryAngle ColumnAngulation TableAngle
DetectorPrimaryAngle DetectorSecondaryAngle
FilterThicknessMinimum FilterThicknessMaximum FilterBeamPathLengthMinimum
FilterBeamPathLengthMaximum GridThickness GridPitch GridAspectRatio GridPeriod GridFocalDistance
DetectorActiveDimensions DetectorActiveOrigin DetectorBinning DetectorElementPhysicalSize
DetectorElementSpacing FieldOfViewDimensions FieldOfViewOrigin FieldOfViewRotation
TomoLayerHeight TomoAngle TomoTime
CollimatorLeftVerticalEdge CollimatorRightVerticalEdge CollimatorUpperHorizontalEdge
CollimatorLowerHorizontalEdge CenterOfCircularCollimator RadiusOfCircularCollimator
VerticesOfThePolygonalCollimator ShutterLeftVerticalEdge ShutterRightVerticalEdge
ShutterUpperHorizontalEdge ShutterLowerHorizontalEdge CenterOfCircularShutter
RadiusOfCircularShutter VerticesOfThePolygonalShutter ShutterPresentationValue
"""
NUMBERS = frozenset(_NUMBERS.split())
"""Attributes of numbers, by keyword: strings are held against the form of a number."""

CLASS_UIDS = frozenset({"SOPClassUID", "ReferencedSOPClassUID"})
"""Attributes of UIDs that the standard has given out; others are none of a film."""

SEQUENCES = frozenset({"ModalityLUTSequence", "VOILUTSequence"})
"""Sequences whose items are looked at by the same rules. Those of references the table names."""

CODES = frozenset(
    {
        "AnatomicRegionSequence",
        "AnatomicRegionModifierSequence",
        "DerivationCodeSequence",
        "PatientGantryRelationshipCodeSequence",
        "PatientOrientationCodeSequence",
        "PatientOrientationModifierCodeSequence",
        "PrimaryAnatomicStructureSequence",
        "PurposeOfReferenceCodeSequence",
        "ViewCodeSequence",
        "ViewModifierCodeSequence",
    }
)
"""Sequences of codes, of which those stay that the dictionaries of the standard have."""

_YES_NO = "YES NO"
_BODY_PARTS = """
ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BILEDUCT BLADDER BRAIN BREAST BRONCHUS
BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CLAVICLE
COCCYX COLON CORNEA CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR
FINGER FOOT FOREARM GALLBLADDER HAND HEAD HEADNECK HEART HIP HUMERUS ILEUM ILIUM JAW JEJUNUM KIDNEY
KNEE LARYNX LEG LIVER LOWERLIMB LSPINE LSSPINE LUNG MANDIBLE MASTOID MAXILLA MEDIASTINUM MOUTH NECK
NECKCHEST NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RADIUS
RADIUSULNA RECTUM RIB SACRUM SCALP SCAPULA SCLERA SCROTUM SHOULDER SIJOINT SINUS SKULL SPINE SPLEEN
SSPINE STERNUM STOMACH TESTIS THIGH THUMB THYMUS THYROID TIBIA TIBIAFIBULA TLSPINE TMJ TOE TONGUE
TRACHEA TSPINE ULNA UPPERARM UPPERLIMB URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA
"""
_TERMS = {
    "AnodeTargetMaterial": "TUNGSTEN MOLYBDENUM RHODIUM",
    "BodyPartExamined": _BODY_PARTS,
    "BreastImplantPresent": _YES_NO,
    "BurnedInAnnotation": _YES_NO,
    "CalibrationImage": _YES_NO,
    "CassetteOrientation": "LANDSCAPE PORTRAIT",
    "CassetteSize": "18CMX24CM 8INX10IN 24CMX30CM 10INX12IN 30CMX35CM 30CMX40CM 11INX14IN "
    "35CMX35CM 14INX14IN 35CMX43CM 14INX17IN",
    "CollimatorShape": "RECTANGULAR CIRCULAR POLYGONAL",
    "ConversionType": "DV DI DF WSD SD SI DRW SYN",
    "DetectorActiveShape": "RECTANGLE ROUND HEXAGONAL",
    "DetectorConditionsNominalFlag": _YES_NO,
    "DetectorConfiguration": "AREA SLOT",
    "DetectorType": "DIRECT SCINTILLATOR STORAGE FILM",
    "ExposureControlMode": "MANUAL AUTOMATIC",
    "ExposureStatus": "NORMAL ABORTED",
    "FieldOfViewHorizontalFlip": _YES_NO,
    "FieldOfViewShape": "RECTANGLE ROUND HEXAGONAL",
    "FilterMaterial": "MOLYBDENUM ALUMINUM COPPER RHODIUM NIOBIUM EUROPIUM LEAD SILVER TIN",
    "FilterType": "STRIP WEDGE BUTTERFLY MULTIPLE FLAT NONE",
    "Grid": "FIXED FOCUSED RECIPROCATING PARALLEL CROSSED NONE HATCHED",
    "ImageLaterality": "R L U B",
    "ImageType": "ORIGINAL DERIVED PRIMARY SECONDARY POST_PROCESSED LOCALIZER TOMOSYNTHESIS",
    "Laterality": "R L",
    "LossyImageCompression": "00 01",
    "LossyImageCompressionMethod": "ISO_10918_1 ISO_14495_1 ISO_15444_1 ISO_15444_15 ISO_13818_2",
    "ModalityLUTType": "OD HU US UNSPECIFIED",
    "Modality": "CR DX MG OT RG IO PX XA XC RF SC DG GM",
    "OrganExposed": "BREAST",
    "PartialView": _YES_NO,
    "PatientPosition": "HFP HFS HFDR HFDL FFP FFS FFDR FFDL",
    "PhotometricInterpretation": "MONOCHROME1 MONOCHROME2 PALETTE_COLOR RGB YBR_FULL YBR_FULL_422 "
    "YBR_ICT YBR_RCT YBR_PARTIAL_420",
    "PixelIntensityRelationship": "LIN LOG DISP",
    "PixelSpacingCalibrationType": "GEOMETRY FIDUCIAL",
    "PositionerPrimaryAngleDirection": "CW CC",
    "PositionerType": "CARM COLUMN MAMMOGRAPHIC PANORAMIC CEPHALOSTAT RIGID NONE",
    "PresentationIntentType": "FOR_PRESENTATION FOR_PROCESSING",
    "PresentationLUTShape": "IDENTITY INVERSE",
    "QualityControlImage": f"{_YES_NO} BOTH",
    "RecognizableVisualFeatures": _YES_NO,
    "RescaleType": "OD HU US MGML Z_EFF ED EDW HU_MOD PCT LOG",
    "ShutterShape": "RECTANGULAR CIRCULAR POLYGONAL BITMAP",
    "TableType": "FIXED TILTING NONE",
    "TomoClass": "MOTION TOMOSYNTHESIS",
    "TomoType": "LINEAR SPIRAL POLYCYCLOIDAL CIRCULAR",
    "ViewPosition": "AP PA LL RL RLD LLD RLO LLO LAO RAO LPO RPO CC MLO ML LM LMO SIO XCC XCCL "
    "XCCM LAT OBL AX",
    "VOILUTFunction": "LINEAR LINEAR_EXACT SIGMOID",
}
_WITH_SPACES = {
    each.replace("_", " "): each for each in ("PALETTE_COLOR", "FOR_PRESENTATION", "FOR_PROCESSING")
}

TERMS = {
    keyword: frozenset(
        {*terms.split(), *(spaced for spaced, one in _WITH_SPACES.items() if one in terms.split())}
    )
    for keyword, terms in _TERMS.items()
}
"""Terms that the standard defines, by keyword; what is none of them does not stay."""

LEFT_OUT = {"ImageType": "", "LossyImageCompressionMethod": ""}
"""What stands in the place of one unknown term among several."""

ORIENTATION = re.compile(r"[AFHLPR]{1,3}")
"""Values of PatientOrientation (PS3.3 C.7.6.1.1.1)."""

DECIMAL = re.compile(r" *[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})? *")
"""A decimal or an integer string, of at most 16 characters."""

_MAKERS = (
    "AGFA|Canon|Carestream|Del Medical|DRTECH|Fischer|Fuji(?:film)?|GE|General Electric|GMM|"
    "Hologic|Imaging Dynamics|IMS|Italray|iRay|Kodak|Konica(?: Minolta)?|Lodox|Lorad|Philips|"
    "Planmeca|Planmed|Samsung|Sectra|Sedecal|Shimadzu|Siemens|Swissray|Toshiba|Trixell|Varex|"
    "Varian|Vidar|Vieworks|Villa"
)
MAKER = re.compile(rf"({_MAKERS})(?![a-z])", re.IGNORECASE)
"""How the name of a manufacturer begins; no more of it stays."""

REWRITTEN = {"PixelSpacingCalibrationDescription": "not stated"}
"""Free text that must stand there (type 1), and what stands in its place."""

MOVED_DATES = frozenset({"StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"})
"""Dates that stay, moved, with Retain Longitudinal Temporal Information With Modified Dates."""
