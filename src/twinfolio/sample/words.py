"""Pseudo-text: everyday Arabic words in random order, so that no page reproduces a real text."""

from __future__ import annotations

import numpy as np

TATWEEL = "\u0640"

_COMMON = """
في من على إلى عن مع هذا هذه ذلك التي الذي كان كانت قال قد ثم لم لا ما هو هي بين بعد قبل كل بعض عند
حتى إذا أو أن فيه منه عليه إليه لها له
"""
_OTHERS = """
كتاب قلم بيت باب دار مدينة قرية طريق نهر بحر جبل وادي شجر ثمر زهر ماء نار هواء تراب حجر حديد ذهب فضة نحاس خشب
ورق جلد صوف قطن حرير ثوب عمامة خاتم سيف رمح قوس سهم درع فرس جمل ناقة بقر غنم طير حمام نسر صقر سمك نحل نمل أسد
ذئب كلب هرة فيل رجل امرأة صبي شيخ شاب غلام جارية أب أم أخ أخت ابن بنت عم خال جد صديق رفيق جار ضيف غريب تاجر
صانع كاتب شاعر طبيب حكيم معلم تلميذ قاض أمير وزير ملك سلطان جند عسكر قائد حارس راع فلاح بناء نجار حداد خباز
خياط صباغ دباغ عطار ملاح يوم ليل نهار صبح ظهر عصر مساء شهر سنة ساعة زمان دهر ربيع صيف خريف شتاء برد حر مطر ثلج
ريح سحاب برق رعد شمس قمر نجم كوكب فلك سماء أرض شرق غرب شمال جنوب يمين يسار فوق تحت أمام خلف داخل خارج قريب
بعيد طويل قصير كبير صغير كثير قليل جديد قديم حسن قبيح جميل لطيف كريم بخيل شجاع جبان عالم جاهل عاقل غني فقير
قوي ضعيف صحيح مريض سعيد حزين أبيض أسود أحمر أخضر أصفر أزرق واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة
عشرة مائة ألف نصف ثلث ربع خمس سدس جملة قسم فصل مقالة مسألة جواب سؤال بيان شرح تفصيل مختصر رسالة مقدمة خاتمة
فائدة حكاية خبر قصة مثل شعر نثر بيتين قصيدة لفظ معنى حرف اسم فعل نحو صرف لغة خط نقطة شكل حساب عدد ضرب قسمة جذر
كعب خطوط دائرة مثلث مربع زاوية قطر محيط سطح جسم مركز ميزان وزن كيل درهم دينار رطل مثقال دواء شراب معجون مرهم
عسل خل زيت لبن خبز لحم تمر عنب تين رمان تفاح سفرجل لوز جوز فستق زعفران مسك عنبر كافور صندل ورد بنفسج نرجس
ياسمين آس يكتب يقرأ يقول يعلم ينظر يسمع يمشي يجلس يقوم ينام يأكل يشرب يلبس يركب يسافر يرجع يدخل يخرج يفتح يغلق
يأخذ يعطي يبيع يشتري كتبت وجدت رأيت سمعت نظرت سألت أجبت ذكرت نسيت عرفت فهمت طلبت حضرت سافرت رجعت دخلت خرجت
أخذت أعطيت وضعت رفعت جمعت فرقت
"""
COMMON: tuple[str, ...] = tuple(_COMMON.split())
OTHERS: tuple[str, ...] = tuple(_OTHERS.split())

_COMMON_SHARE = 0.25
_ARTICLE_SHARE = 0.25
_AND_SHARE = 0.12
_JOINING = frozenset("بتثجحخسشصضطظعغفقكلمنهي")


def draw_word(rng: np.random.Generator, kashida: float) -> str:
    """Draw one word, now and then with an article, a joined "and" or a lengthened join.

    Args:
        rng: Source of the draw.
        kashida: Chance of lengthening one join by one to three tatweels.
    """
    if rng.random() < _COMMON_SHARE:
        return str(rng.choice(COMMON))
    word = str(rng.choice(OTHERS))
    if rng.random() < _ARTICLE_SHARE:
        word = "ال" + word
    if rng.random() < _AND_SHARE:
        word = "و" + word
    return _lengthen(word, rng) if rng.random() < kashida else word


def _lengthen(word: str, rng: np.random.Generator) -> str:
    """Put tatweels behind the last letter that joins to its left; lam before alef keeps its ligature."""
    for place in range(len(word) - 2, -1, -1):
        if word[place] in _JOINING and word[place : place + 2] not in ("لا", "لأ", "لآ", "لإ"):
            return word[: place + 1] + TATWEEL * int(rng.integers(1, 4)) + word[place + 1 :]
    return word
